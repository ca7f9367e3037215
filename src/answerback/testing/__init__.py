"""What tests of your own integration need: a receiver of callbacks with a script, and the check of signatures."""
