"""OpenAI's JSON <-> conversations and event streams, as plain dicts: Chat Completions and Responses."""
