"""The card of a bundle that was never trained."""

from datetime import UTC, datetime

from pydantic import BaseModel

from inference.bundle import Card, OperatingPoint, Training


def untrained_card(
    system: str, network: BaseModel, decision: BaseModel, preparation: object, **more: object
) -> Card:
    """Return a card that says what a system is, and nothing that was measured."""
    said: dict[str, object] = {
        "format": "fourviews-bundle-1",
        "system": system,
        "name": "Untrained",
        "version": "0.0.1",
        "license": "Apache-2.0",
        "intended_use": "tests",
        "created": datetime(2026, 1, 1, tzinfo=UTC),
        "weights_sha256": "0" * 64,
        "default_operating_point": "all",
        "training": Training(
            recipe="none",
            recipe_sha256="0",
            data="none",
            studies=0,
            seed=3,
            steps=0,
            parameters=0,
            torch_version="2",
            code_version="0",
        ),
        "network": network.model_dump(),
        "preparation": preparation,
        "decision": decision.model_dump(),
        "operating_points": {"all": OperatingPoint(finding_score=0.0, chosen_for="tests")},
        "metrics": [],
    }
    return Card.model_validate(said | more)
