"""Files that reviews refer to: fetched within limits, read in processes of their own."""
