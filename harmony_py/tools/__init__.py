"""The tools that the models were trained on, ready for the chat loop, and MCP servers as tools.

Each is a small object. `namespace` or `tools` is what the model is told of it; `callables` are what runs, by
the full names that the model calls them by:

    patch = ApplyPatch(folder)
    developer = DeveloperContent.new().with_function_tools(patch.tools)
    chat = Chat(engine, [Message.from_role_and_content(Role.DEVELOPER, developer)], tools=patch.callables)

What a tool cannot do it says in a `ToolError`, whose text is for the model; the chat loop passes it on.
Nothing that the model, a page or a server writes makes a tool raise anything else, run for ever, or answer at
any length.
"""
