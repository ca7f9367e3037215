"""When and where jobs and deliveries run. Custody is the lease in the database; an engine only holds it."""
