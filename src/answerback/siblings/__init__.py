"""The link between the processes of one `serve --processes N`."""
