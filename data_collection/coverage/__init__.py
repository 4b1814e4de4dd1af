"""``dexbench data report``: what episode sets cover, as one HTML page to look at.

`measures` reads a set's arrays, `plots` draws them, `page` puts numbers, plots, frames and clips
into the template ``page.html`` with ``page.css``. Matplotlib and Jinja are imported only here.
"""
