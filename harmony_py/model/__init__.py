"""The bundled decode loop of gpt-oss: ids in, ids out. Needs the extra `model`."""
