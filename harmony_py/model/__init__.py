"""The bundled decode loop."""
