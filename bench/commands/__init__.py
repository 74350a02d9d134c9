"""The commands: one module each, with HELP, `arguments` and `main`."""
