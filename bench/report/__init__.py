"""``dexbench report``: the results of some ledgers as one HTML page.

`content` turns ledgers into what the page says, `figures` draws curves, `page` puts both into the
template ``page.html`` with ``page.css``. Matplotlib and Jinja are imported only here.
"""
