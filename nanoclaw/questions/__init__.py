"""Questions an agent puts to the people of its chat, and waits for."""
