from dexbench.bench.ablate.tables import Trained, closed_loop, open_loop


def row(model, value, low, high, source="model"):
    facts = {"set": "play", "model": model, "source": source, "measure": "pck20"}
    return {**facts, "seconds": "mean", "value": value, "low": low, "high": high}


def table(*rows, cells=("base", "even")):
    names = [f"{cell}-{seed}" for cell in cells for seed in (0, 1)]
    evaluation = {
        "sets": [{"set": "play", "windows": [[0, 3], [1, 5]]}],
        "models": [{"model": name, "encoder_sha256": "e"} for name in names],
        "rows": rows,
    }
    trained = [Trained(f"{c}-{seed}", seed, c.title(), 4.1, 7.0) for c in cells for seed in (0, 1)]
    return open_loop(evaluation, trained)


def test_differences_are_of_the_same_seed_and_the_other_way_round():
    text = table(
        row("base-0", 0.5, 0.4, 0.6),
        row("even-1", 0.3, 0.2, 0.4),
        row("base-0", 0.2, 0.1, 0.3, "copy"),
        row("base-0 - even-0", -0.2, -0.3, -0.1),
        row("base-1 - even-1", 0.1, -0.1, 0.3),
        row("base-0 - even-1", 9.0, 8.0, 10.0),
    )
    values, differences = text.split("Difference")
    assert "play, 2 windows" in values
    assert "| Base, seed 0 | 4.1 | 7.0 |" in values and "0.5 (0.4..0.6)" in values
    assert "0.3 (0.2..0.4)" in values and values.count("| *copy* |") == 1
    assert "| Even, seed 0 |" in differences and "**+0.2 (0.1..0.3)**" in differences
    assert "| -0.1 (-0.3..0.1) |" in differences and "9" not in differences


def test_a_single_cell_has_no_differences():
    assert "Difference" not in table(row("base-0", 0.5, 0.4, 0.6), cells=("base",))


def test_success_has_its_interval():
    score = {"successes": 3, "trials": 4, "ci_low": 0.3, "ci_high": 0.95}
    text = closed_loop([("Base, seed 0", {"reach": score})])
    assert text.splitlines()[0] == "| cell | reach |"
    assert text.splitlines()[2] == "| Base, seed 0 | 3/4 (30%..95%) |"
