"""A report: scores and what they come to, the page that shows them, and files for other tools."""
