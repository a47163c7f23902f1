"""What happens, one line an event: for the app, the shell and every worker alike."""
