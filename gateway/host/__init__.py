"""The machine below: who reaches our ports, what the firewall says, memory, swap and disk (rows G11, G12)."""
