"""Templates and their immutable versions in the database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from brightrun import saol
from brightrun.domain.errors import NotFound
from brightrun.domain.ids import TemplateId, TemplateVersionId
from brightrun.domain.scenario import Tier
from brightrun.domain.template import Template, TemplateVersion
from brightrun.domain.variable import Variable


def all_templates(db: saol.Database, *, active_only: bool = False) -> list[Template]:
    """Return templates with their current versions, by key."""
    where = [("is_active", "is", True)] if active_only else []
    rows = saol.agent_query(db, "template_rows", where=where, order_by=[saol.Order("template_key")]).rows()
    return [_template(row) for row in rows]


def version(db: saol.Database, version_id: TemplateVersionId) -> TemplateVersion:
    """Return one version, current or not; raises NotFound."""
    rows = saol.agent_query(db, "template_versions", where=[("id", "eq", version_id)], limit=1).rows()
    if not rows:
        raise NotFound(f"There is no template version {version_id}.")
    return _version(rows[0])


def versions_of(db: saol.Database, template_id: TemplateId) -> list[TemplateVersion]:
    """Return every version of a template, newest first."""
    rows = saol.agent_query(
        db,
        "template_versions",
        where=[("template_id", "eq", template_id)],
        order_by=[saol.Order("version", descending=True)],
    ).rows()
    return [_version(row) for row in rows]


def publish(db: saol.Database, template: Mapping[str, object], actor: str) -> TemplateId:
    """Write a template and its next version in one step."""
    data = saol.agent_execute_rpc(
        db, "publish_template", {"p_template": dict(template), "p_actor": actor}
    ).value()
    return TemplateId(data["template_id"])


def set_active(db: saol.Database, template_id: TemplateId, *, active: bool) -> None:
    """Offer a template or stop offering it; jobs that use it go on."""
    saol.agent_update(
        db, "templates", {"is_active": active}, where=[("id", "eq", template_id)], returning=False
    ).require()


def _template(row: Mapping[str, Any]) -> Template:
    return Template(
        id=TemplateId(row["id"]),
        template_key=str(row["template_key"]),
        name=str(row["name"]),
        description=str(row["description"]),
        category=str(row["category"]),
        tier=Tier(row["tier"]),
        arc_key=row["arc_key"],
        suitable_personas=tuple(row["suitable_personas"]),
        suitable_topics=tuple(row["suitable_topics"]),
        rating=float(row["rating"]),
        usage_count=int(row["usage_count"]),
        is_active=bool(row["is_active"]),
        version=_version(
            {
                **row,
                "id": row["version_id"],
                "template_id": row["id"],
                "version": row["current_version"],
                "created_by": row["version_created_by"],
                "created_at": row["version_created_at"],
            }
        ),
    )


def _version(row: Mapping[str, Any]) -> TemplateVersion:
    return TemplateVersion(
        id=TemplateVersionId(row["id"]),
        template_id=TemplateId(row["template_id"]),
        version=int(row["version"]),
        system_text=str(row["system_text"]),
        user_text=str(row["user_text"]),
        dataset_system_text=str(row["dataset_system_text"]),
        required=tuple(row["required"]),
        optional=tuple(row["optional"]),
        words_min=int(row["words_min"]),
        words_max=int(row["words_max"]),
        created_by=str(row["created_by"]),
        created_at=datetime.fromisoformat(row["created_at"]),
        variables=tuple(Variable.model_validate(held) for held in row["variables"]),
    )
