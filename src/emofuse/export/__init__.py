"""What results are written to: tables, thumbnails, the page, and the summary for people."""
