"""Models measured on a file of prompts."""
