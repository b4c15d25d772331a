"""Windows of a slide: where they lie, in which order they run, and how they blend into one map."""
