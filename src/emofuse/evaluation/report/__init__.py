"""Reports: one model of a report, rendered as HTML, Markdown and JSON."""
