"""The ground floor: slides in, glands out, with numpy and never with torch."""
