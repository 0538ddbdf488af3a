"""Tools that an agent calls and we answer, over the same byte stream as everything else.

A set of tools is a class with one method, `offered(group)`; the tenant lists the sets (see `nanoclaw.tenant`), and
`ToolServer` offers to each group what they give it. Who calls is bound when a tool is offered: an agent cannot name
another caller.
"""
