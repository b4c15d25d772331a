"""Slides of every format, read by rectangle at any um/px, and their unread regions."""
