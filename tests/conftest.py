import dexbench  # noqa: F401 - chooses MuJoCo's rendering backend before any test imports mujoco
