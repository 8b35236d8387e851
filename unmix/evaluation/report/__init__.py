"""Reports: scores and their aggregates, a page that shows them, and files for other tools."""
