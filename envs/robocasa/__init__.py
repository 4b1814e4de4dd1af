"""All that imports RoboCasa: its kitchens and tasks with dexbench's robot and assets."""
