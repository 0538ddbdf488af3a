"""The folder an agent works in: safe access, the file tools, standing files, skills."""
