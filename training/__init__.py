"""How the toy checkpoint is taught: `python -m training`."""
