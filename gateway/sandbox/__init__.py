"""The offline world: one emulator per upstream, wired to the whole product on loopback."""
