import doctest
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

import pytest

from emofuse.analyzer import AnalyzerConfig, read_config
from emofuse.config import loader
from emofuse.config.loader import (
    Flag,
    construct,
    read,
    read_file,
    settings,
    to_mapping,
    to_yaml,
)
from emofuse.core.estimates import Modality
from emofuse.errors import InputError
from emofuse.fusion.config import Strategy


class Colour(str, Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of something.

    Args:
        size: in metres,
            as measured.
        colours: how much of each.
    """

    size: float = 1.0
    colours: Mapping[Colour, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.size <= 0:
            raise ValueError(f"size must be > 0, got {self.size}")


@dataclass(frozen=True, slots=True)
class Whole:
    """All of it."""

    name: str
    count: int = 3
    colour: Colour = Colour.RED
    wanted: tuple[Colour, ...] = (Colour.RED,)
    place: Path | None = None
    part: Part = field(default_factory=Part)


def write(tmp_path: Path, text: str, name: str = "config.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


YAML = """
# a comment
name: größe
wanted: [blue, red]
place: some/where
part:
  size: 2
  colours: {blue: 0.5}
"""
TOML = """
name = "größe"
wanted = ["blue", "red"]
place = "some/where"
[part]
size = 2
[part.colours]
blue = 0.5
"""


@pytest.mark.parametrize(("name", "text"), [("c.yaml", YAML), ("c.YML", YAML), ("c.toml", TOML)])
def test_a_file_becomes_dataclasses(tmp_path: Path, name: str, text: str) -> None:
    assert read(Whole, write(tmp_path, text, name)) == Whole(
        name="größe",
        wanted=(Colour.BLUE, Colour.RED),
        place=Path("some/where"),
        part=Part(2.0, {Colour.BLUE: 0.5}),
    )


def test_flags_override_the_file(tmp_path: Path) -> None:
    flags = {"count": Flag("--count", 7), "part.size": Flag("--size", 0.5)}
    whole = read(Whole, write(tmp_path, YAML), flags)
    assert (whole.count, whole.part.size, whole.name) == (7, 0.5, "größe")
    assert whole.part.colours == {Colour.BLUE: 0.5}, "a flag leaves its neighbours alone"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nam: x", r"unknown key 'nam': did you mean 'name'\?"),
        ("count: 1", "name: got nothing, expected a value"),
        ("name: x\nzzz: 1", "unknown key 'zzz': expected one of name, count, colour"),
        ("name: x\npart: {sise: 1}", r"unknown key 'part.sise': did you mean 'size'\?"),
        ("name: x\ncount: '3'", "count: got '3', expected a valid integer"),
        ("name: x\ncount: 2.5", "count: got 2.5, expected a valid integer"),
        ("name: x\ncount: true", "count: got True, expected a valid integer"),
        ("name: x\ncolour: green", "colour: got 'green', expected 'red' or 'blue'"),
        ("name: x\nwanted: [red, pink]", "wanted.1: got 'pink', expected 'red' or 'blue'"),
        ("name: x\nwanted: red", "wanted: got 'red', expected a valid array"),
        ("name: x\npart: 3", "part: got 3, expected a section with keys and values"),
        ("name: x\npart: {size: -1}", "part: size must be > 0, got -1"),
        ("name: x\npart: {colours: {pink: 1}}", "part.colours.pink: got 'pink', expected 'red'"),
        ("name: 2024-01-01\ncount: x", "config.yaml: count: got 'x', expected a valid integer$"),
        ("- a\n- b", "holds a list, expected keys and values"),
        ("just words", "holds a str, expected keys"),
        ("name: [", "is not valid: while parsing"),
        ("name: !!python/object:os.system x", "is not valid: could not determine a constructor"),
    ],
)
def test_mistakes_are_named_with_key_got_and_expected(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        read(Whole, write(tmp_path, text))
    assert "config.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mistake_in_a_flag_names_the_flag(tmp_path: Path) -> None:
    path = write(tmp_path, "name: x")
    with pytest.raises(InputError, match=r"^--colour: got 'green', expected 'red' or 'blue'$"):
        read(Whole, path, {"colour": Flag("--colour", "green")})


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.yaml: No such file"):
        read(Whole, tmp_path / "absent.yaml")
    with pytest.raises(InputError, match=r"suffix '\.ini', expected \.yaml, \.toml"):
        read(Whole, write(tmp_path, "", "c.ini"))
    (tmp_path / "c.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(InputError, match="cannot read the configuration"):
        read(Whole, tmp_path / "c.yaml")
    with pytest.raises(InputError, match=r"c\.toml is not valid"):
        read(Whole, write(tmp_path, "name =", "c.toml"))


def test_empty_files_and_sections_keep_the_defaults(tmp_path: Path) -> None:
    assert read_config(write(tmp_path, "# nothing\n")) == AnalyzerConfig()
    assert read_config(write(tmp_path, "fusion:\n  # strategy: weighted\n")) == AnalyzerConfig()


def test_yaml_is_read_as_of_version_1_2(tmp_path: Path) -> None:
    """In YAML 1.1, which PyYAML reads by default, on is true, 5e-4 a text and 1:30 is 90."""
    whole = read(Whole, write(tmp_path, "name: no\npart: {size: 5e-4}\ncount: -1"))
    assert (whole.name, whole.part.size, whole.count) == ("no", 5e-4, -1)
    for text in ("count: 1:30", "count: 1_000", "count: yes"):
        with pytest.raises(InputError, match="expected a valid integer"):
            read(Whole, write(tmp_path, f"name: x\n{text}"))
    assert read_config(write(tmp_path, "vad: {on: 0.6}")).vad.on == 0.6


def test_comments_come_from_the_docstrings() -> None:
    text = to_yaml(Whole("x"))
    assert "# A part of something.\npart:\n  # in metres, as measured.\n  size: 1.0\n" in text
    assert 'wanted: ["red"]' in text


# The analyzer's own


def test_no_file_is_the_default() -> None:
    assert read_config() == AnalyzerConfig()


def test_printed_settings_can_be_read_again(tmp_path: Path) -> None:
    config = replace(
        AnalyzerConfig(),
        modalities=(Modality.FACE,),
        fps=12.5,
        fusion=replace(
            AnalyzerConfig().fusion, strategy=Strategy.WEIGHTED, weights={Modality.FACE: 0.7}
        ),
    )
    for each in (AnalyzerConfig(), config):
        assert read_config(write(tmp_path, to_yaml(each))) == each


def test_every_setting_is_printed_and_explained() -> None:
    lines = to_yaml(AnalyzerConfig()).splitlines()
    for name, value in to_mapping(AnalyzerConfig()).items():
        position = next(i for i, line in enumerate(lines) if line.startswith(f"{name}:"))
        assert lines[position - 1].startswith("# "), f"{name} has no comment"
        if isinstance(value, dict) and name != "models":
            assert all(any(line.startswith(f"  {key}:") for line in lines) for key in value)


def test_a_component_refuses_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config\.yaml: .*fps must be > 0, got -1"):
        read_config(write(tmp_path, "fps: -1"))
    with pytest.raises(InputError, match="at least one of face, speech, text"):
        read_config(write(tmp_path, "modalities: []"))


@dataclass(frozen=True)
class Item:
    name: str
    folds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Listing:
    items: tuple[Item, ...] = ()


def test_an_element_of_a_list_is_set_by_its_number(tmp_path: Path) -> None:
    path = write(tmp_path, "items: [{name: a}, {name: b, folds: [1]}]")
    found = read(Listing, path, settings(["items.1.folds=[2, 3]", "items.0.name=c"]))
    assert found == Listing((Item("c"), Item("b", (2, 3))))
    with pytest.raises(InputError, match=r"cannot set items\.2\.name: the file's list has no such"):
        read(Listing, path, settings(["items.2.name=c"]))
    with pytest.raises(InputError, match=r"cannot set items\.last"):
        read(Listing, path, settings(["items.last=c"]))


def test_the_examples_hold() -> None:
    assert doctest.testmod(loader).failed == 0


def test_plain_types_become_a_dataclass_or_are_named() -> None:
    made = construct(AnalyzerConfig, {"fps": 3.0, "modalities": ["face"]})
    assert (made.fps, made.modalities) == (3.0, (Modality.FACE,))
    assert construct(AnalyzerConfig, to_mapping(made)) == made
    with pytest.raises(InputError, match=r"^a\.fps: got '3', expected a valid number"):
        construct(AnalyzerConfig, {"fps": "3"}, where="a")
    with pytest.raises(InputError, match=r"unknown key 'a\.fusion\.stratgy': did you mean"):
        construct(AnalyzerConfig, {"fusion": {"stratgy": "x"}}, where="a")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"face": {"detector": "compact"}}, r"face: got .*, expected FaceConfig\(detector=…\)"),
        ({"vad": None}, r"vad: got None, expected VadConfig"),
        ({"fps": "8"}, "fps: got '8', expected a number"),
        ({"threads": True}, "threads: got True, expected a number"),
        ({"slot_seconds": float("inf")}, "slot_seconds must be finite, got inf"),
        ({"threads": 100_000}, "threads must be 1 to 256, got 100000"),
        ({"modalities": "face"}, "modalities: got 'face', expected a list of names"),
        ({"modalities": ["smell"]}, "modalities: no modality 'smell'; there are face"),
        ({"models": {"face": 1}}, "models.face: got 1, expected a model's id"),
    ],
)
def test_settings_made_in_python_are_checked_at_once(given: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        AnalyzerConfig(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.yaml", "a: " + "[" * 50_000, "nested more than a hundred times"),
        ("a.json", '{"a":' * 3000 + "1" + "}" * 3000, "nested more than a hundred times"),
        ("a.toml", "a = " + "[" * 5000, "nested more than a hundred times"),
        ("a.yaml", "a: &a\n- *a\n", "holds itself"),
        ("a.yaml", "\n".join(f"{'  ' * n}a:" for n in range(150)), "nested too deeply"),
        (
            "a.yaml",
            "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
            + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)),
            "too large",
        ),
        ("a.yaml", f"fps: {'9' * 5000}", "5000"),
        ("a.yaml", "#" * 1_100_000, "1100000 bytes"),
    ],
)
def test_what_would_take_all_memory_is_refused(
    tmp_path: Path, name: str, text: str, why: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=why):
        read_file(path)
