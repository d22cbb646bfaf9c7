"""One folder a question: what it observes, what a record keeps, the figures, the page, the plot."""
