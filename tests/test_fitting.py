"""What takes a function's place in a test can be called as that function is."""

from typing import Any

import pytest

from tests.fitting import check_fits


class Owner:
    """Has one function of each kind."""

    def of_object(self, one: int, *, more: int = 0) -> None: ...

    @staticmethod
    def of_none(one: int) -> None: ...


@pytest.mark.parametrize(
    ("owner", "attribute", "replacement"),
    [
        (Owner, "of_object", lambda self, one, more=0: None),
        (Owner(), "of_object", lambda *_, **__: None),
        (Owner(), "of_none", lambda one: None),
        (Owner, "of_none", staticmethod(lambda one: None)),
        (Owner, "of_object", 7),
        (Owner, "missing", lambda: None),
    ],
)
def test_what_fits_is_taken(owner: Any, attribute: str, replacement: Any) -> None:
    """Also by other names, and what is no function."""
    check_fits(owner, attribute, replacement)


@pytest.mark.parametrize(
    ("owner", "attribute", "replacement"),
    [
        (Owner, "of_object", lambda one, more=0: None),
        (Owner(), "of_object", lambda self, one, more=0: None),
        (Owner(), "of_object", lambda one: None),
        (Owner, "of_none", lambda: None),
    ],
)
def test_what_does_not_fit_is_refused(
    monkeypatch: pytest.MonkeyPatch, owner: Any, attribute: str, replacement: Any
) -> None:
    """Wherever a test puts it; and the original stays."""
    with pytest.raises(TypeError, match=f"^{attribute}.*is called otherwise"):
        monkeypatch.setattr(owner, attribute, replacement)
    with pytest.raises(TypeError, match="is called otherwise"):
        monkeypatch.setattr("tests.fitting.check_fits", lambda owner: None)
    assert getattr(owner, attribute) is not replacement
