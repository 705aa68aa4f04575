"""The help lists groups with their options, and every key with its value and explanation."""

from prnn_md.app.composition import groups
from prnn_md.app.train_help import help_text


def test_groups_and_keys_are_listed() -> None:
    text = help_text()
    for name, options in groups().items():
        assert f"  {name} " in text
        assert all(f" {option} " in text for option in options)
    assert "dataset.n_train=" in text
    assert "optimizer.lr=" in text
    assert "* prnn " in text


def test_every_option_says_what_it_is() -> None:
    lines = help_text().split("Groups")[1].split("Keys")[0].splitlines()[1:-1]
    assert len(lines) == sum(map(len, groups().values()))
    assert all(len(line.split()) > 3 for line in lines), lines


def test_keys_follow_the_choice() -> None:
    text = help_text(["model=gru", "model.hidden=7"])
    assert "model.hidden=7" in text
    assert "* gru " in text
    assert "encoder." not in text.split("Keys")[1]
