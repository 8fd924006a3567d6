"""Every message that crosses a service border, and every subject it travels on."""
