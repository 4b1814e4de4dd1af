"""What a kitchen is made of, as data: recipes, layouts, styles, objects, clutter."""
