"""Finding the text in files that strangers wrote."""
