"""One self-contained HTML file per campaign, drawn from what the nodes of the provenance graph hold."""
