import numpy as np

from dexbench.bench.openloop.shown import tables
from dexbench.bench.openloop.table import differences, rows_of

ONES = np.ones((5, 2))


def measured(value):
    return {
        "latent_l2": (ONES * value, ONES),
        "pck20": (np.tile([[4.0, 2.0]], (5, 1)), 4 * ONES),
        "contact_f1": (np.zeros((5, 1)), np.zeros((5, 1))),
    }


def by(rows):
    return {(row["measure"], row["seconds"]): row for row in rows}


def test_every_step_and_their_mean_have_a_row():
    rows = by(rows_of("m", {"model": measured(0.5)}, [2.0, 4.0]))
    assert [rows["pck20", when]["value"] for when in ("2.0", "4.0", "mean")] == [1.0, 0.5, 0.75]
    assert rows["pck20", "4.0"]["clips"] == 5
    assert ("contact_f1", "4.0") not in rows
    assert rows["contact_f1", "mean"]["value"] is None
    assert rows["contact_f1", "mean"]["clips"] == 0


def test_latents_of_two_encoders_are_not_compared():
    pair = {"a": measured(0.5), "b": measured(0.2)}
    same = by(differences(pair, {"a": "x", "b": "x"}, [2.0, 4.0]))
    assert abs(same["latent_l2", "mean"]["value"] - 0.3) < 1e-12
    assert same["latent_l2", "mean"]["model"] == "a - b"
    other = by(differences(pair, {"a": "x", "b": "y"}, [2.0, 4.0]))
    assert ("latent_l2", "mean") not in other and ("pck20", "mean") in other


def test_a_table_shows_a_line_for_each_source():
    rows = rows_of("m", {"model": measured(0.5), "copy": measured(0.7)}, [2.0, 4.0])
    [(header, [model, copy], names)] = tables(rows, []).values()
    assert header[names:] == [
        *("latent_l2 4.0 s", "latent_l2 mean", "pck20 4.0 s", "pck20 mean", "contact_f1 mean")
    ]
    assert model[:3] == ["m", "model", "0.5 (0.5..0.5)"] and model[-1] == "-"
    assert copy[:3] == ["m", "copy", "0.7 (0.7..0.7)"]


def test_pairs_and_kinds_of_futures_have_tables_of_their_own():
    one = {"hand_cosine": (ONES, ONES), "hand_cm": (3 * ONES, ONES)}
    rows = [
        {"future": future, **row}
        for future in ("pairs", "left", "close")
        for row in rows_of("m", {"model": one}, [2.0, 4.0])
    ]
    pairs, kinds = tables([], rows).values()
    assert pairs == (
        ["model", "source", "hand_cosine 4.0 s", "hand_cosine mean"],
        [["m", "model", "1 (1..1)", "1 (1..1)"]],
        2,
    )
    assert kinds[0] == ["future", "model", "source", "hand_cm 4.0 s"]
    assert [line[0] for line in kinds[1]] == ["left", "close"]
