"""Reports: sections, tables and curves, as HTML, Markdown and JSON."""
