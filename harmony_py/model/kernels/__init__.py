"""What does the heavy operations faster than plain torch: a module for each kind of device."""
