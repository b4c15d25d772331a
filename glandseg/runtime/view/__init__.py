"""A slide's report in the browser, with the slide itself at full resolution."""
