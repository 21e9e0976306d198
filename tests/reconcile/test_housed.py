"""The passes that mend directories are left out where nothing but directories is shown above any key: the plan is the same with them."""

from __future__ import annotations

import random
from typing import Any

import pytest

from twsync.reconcile.model import Item, Policy, Side, SyncType
from twsync.reconcile.plan import _Draft, plan

KEYS = ("a", "a/b", "a/b/c", "a/d", "e", "e/f", "g")
LEAVES = {"a/b/c", "a/d", "e/f", "g"}


def shown(world: Any, dice: random.Random, replica: int, odd: float) -> dict[bytes, Item]:
    """Rows of one side: directories above leaves mostly, other things there now and then; some not shown at all."""
    found = {}
    for key in KEYS:
        if dice.random() < 0.3:
            continue
        what = dice.choice([None, "x", "y", "@z"]) if key in LEAVES or dice.random() < odd else "/"
        found[key.encode()] = world.item(key, what, {1: dice.choice([1, 1, 2]), replica: dice.choice([1, 2])}, dice.choice([5, 9]))
    return found


@pytest.mark.parametrize("sync_type", list(SyncType))
def test_the_plan_is_the_same_with_all_passes(world: Any, monkeypatch: pytest.MonkeyPatch, sync_type: SyncType) -> None:
    """With and without refusals, with one side that shows nothing, with things in place of directories."""
    dice = random.Random(f"housed {sync_type}")
    known = _Draft.housed
    short = 0
    for _ in range(400):
        odd = dice.choice([0, 0, 0.1])
        sides = {side: shown(world, dice, 1 + number, odd) if dice.random() < 0.8 else {} for number, side in enumerate(Side)}
        refused = {side: {key.encode(): "busy" for key in KEYS if dice.random() < 0.05} for side in Side}
        policy = dice.choice(list(Policy))

        def decided(sides: Any = sides, refused: Any = refused, policy: Policy = policy) -> Any:
            return plan(
                sides[Side.CLIENT],
                sides[Side.SERVER],
                client_replica=1,
                server_replica=2,
                sync_type=sync_type,
                policy=policy,
                refused_client=refused[Side.CLIENT],
                refused_server=refused[Side.SERVER],
            )

        answers: list[bool] = []
        with monkeypatch.context() as patch:
            patch.setattr(_Draft, "housed", lambda draft, answers=answers: answers.append(known(draft)) or False)
            everything = decided()
        assert decided() == everything
        short += answers[0]
    assert 40 < short < 400
