"""The description of the interface, for programs (OpenAPI 3.1) and for people, offline."""

from __future__ import annotations

from html import escape
from typing import Any

import multiaxis
from multiaxis.serve.options import NAMES

_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
_PROBLEM = {
    "description": "A problem, in the sentence that the command gives (RFC 9457).",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_RAW = {"image/*": {"schema": {"type": "string", "format": "binary"}}}
_FORM = {"multipart/form-data": {"schema": {"$ref": "#/components/schemas/RestoreForm"}}}
_TEXTS = {"type": "array", "items": {"type": "string"}}
_KINDS = {"strength": "number", "quality": "integer", "ensemble": "boolean", "strip": "boolean"}


def document() -> dict[str, Any]:
    """Give the description as OpenAPI."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "multiaxis",
            "version": multiaxis.__version__,
            "description": "Restore pictures. Results equal those of multiaxis restore, byte for "
            "byte. Where the server has a token, send it as 'Authorization: Bearer TOKEN'.",
        },
        "paths": _paths(),
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _paths() -> dict[str, Any]:
    return {**_restoring(), **_jobs(), **_pictures(), **_about()}


def _restoring() -> dict[str, Any]:
    options = [
        {"name": name, "in": "query", "description": text, "schema": {"type": _kind(name)}}
        for name, text in NAMES.items()
    ]
    prefer = {
        "name": "Prefer",
        "in": "header",
        "description": "respond-async: answer with the job at once; wait=N: after N seconds.",
        "schema": {"type": "string"},
    }
    stored = {"application/x-www-form-urlencoded": {"schema": _options_schema("picture")}}
    job = _json("Job")
    file = {"description": "The file.", "content": _RAW}
    return {
        "/v1/restore": {
            "post": _operation(
                "Restore a picture",
                {"200": file, "202": {**job, "description": "The job, which goes on."}},
                "The body is a form with the picture as a file, or the picture itself, with the "
                "options in the address. The answer is the restored picture; or, with Prefer, the "
                "job.",
                parameters=[*options, prefer],
                body={**_FORM, **_RAW, **stored},
                problems=("400", "413", "422", "429", "503"),
            )
        },
        "/v1/estimate": {
            "post": _operation(
                "Estimate time and memory",
                {"200": _json("Estimate")},
                "The time comes from what was measured on this machine; null before that.",
                body=_body({"$ref": "#/components/schemas/Size"}),
            )
        },
    }


def _jobs() -> dict[str, Any]:
    job = _json("Job")
    return {
        "/v1/jobs/{id}": {
            "get": _operation("Say how far a job is", {"200": job}, parameters=[_ID]),
            "delete": _operation(
                "Cancel a job; remove one that is over",
                {"200": job, "204": {"description": "It was removed, with its files."}},
                parameters=[_ID],
            ),
        },
        "/v1/jobs/{id}/events": {"get": _events("Follow a job (server-sent events)", [_ID])},
        "/v1/events": {
            "get": _events(
                "Follow several jobs",
                [_query("jobs", "Names of jobs, separated by commas.")],
            )
        },
        "/v1/jobs/{id}/result": {
            "get": _file("Fetch a result", "The file as the command writes it.")
        },
        "/v1/jobs/{id}/before": {"get": _file("See the picture", "As a browser shows it.")},
        "/v1/jobs/{id}/after": {"get": _file("See the result", "As a browser shows it.")},
        "/v1/archive": {
            "post": _operation(
                "Fetch several results as a zip file",
                {"200": {"description": "The archive.", "content": {"application/zip": {}}}},
                body=_body(
                    {
                        "type": "object",
                        "properties": {"jobs": {"type": "array", "items": {"type": "string"}}},
                    }
                ),
            )
        },
    }


def _pictures() -> dict[str, Any]:
    picture = _json("Picture")
    return {
        "/v1/pictures": {
            "post": _operation(
                "Send a picture, for several jobs",
                {"201": picture},
                "Jobs name it with the field 'picture'.",
                body={**_FORM, **_RAW},
                problems=("413", "422", "507"),
            )
        },
        "/v1/pictures/{id}": {
            "get": _operation("Say what a picture is", {"200": picture}, parameters=[_ID]),
            "delete": _operation(
                "Remove a picture", {"204": {"description": "Removed."}}, parameters=[_ID]
            ),
        },
        "/v1/pictures/{id}/view": {"get": _file("See a picture", "As a browser shows it.")},
    }


def _about() -> dict[str, Any]:
    return {
        "/v1/models": {
            "get": _operation("List tasks, models, formats, limits", {"200": _json("Models")})
        },
        "/health": {"get": _operation("Say whether jobs are taken", {"200": _json("Health")})},
        "/metrics": {
            "get": _operation(
                "Figures for Prometheus",
                {"200": {"description": "Text.", "content": {"text/plain": {}}}},
            )
        },
    }


def _operation(
    summary: str,
    responses: dict[str, Any],
    description: str = "",
    *,
    parameters: list[Any] | None = None,
    body: dict[str, Any] | None = None,
    problems: tuple[str, ...] = ("400",),
) -> dict[str, Any]:
    found = {**responses, **dict.fromkeys(problems, _PROBLEM)}
    if parameters and _ID in parameters:
        found["404"] = _PROBLEM
    operation: dict[str, Any] = {"summary": summary, "responses": found}
    operation |= {"description": description} if description else {}
    operation |= {"parameters": parameters} if parameters else {}
    return operation | ({"requestBody": {"required": True, "content": body}} if body else {})


def _file(summary: str, description: str) -> dict[str, Any]:
    found = {"description": "The file.", "content": {"image/*": {}}}
    return _operation(summary, {"200": found, "409": _PROBLEM}, description, parameters=[_ID])


def _events(summary: str, parameters: list[Any]) -> dict[str, Any]:
    found = {"description": "Events 'job', with a Job.", "content": {"text/event-stream": {}}}
    return _operation(summary, {"200": found}, parameters=parameters)


def _json(schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": f"{schema}.", "content": content}


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _query(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": {"type": "string"}}


def _kind(name: str) -> str:
    return _KINDS.get(name, "string")


def _options_schema(picture: str) -> dict[str, Any]:
    properties: dict[str, Any] = {
        name: {"type": _kind(name), "description": text} for name, text in NAMES.items()
    }
    properties[picture] = {"type": "string", "description": "A picture that was sent."}
    return {"type": "object", "required": ["task"], "properties": properties}


def _schemas() -> dict[str, Any]:
    file = {"type": "string", "format": "binary", "description": "The picture."}
    form = _options_schema("picture")
    form["properties"] = {"file": file, **form["properties"]}
    text, number, whole = {"type": "string"}, {"type": "number"}, {"type": "integer"}
    maybe = {"type": ["number", "null"]}
    states = ["queued", "running", "done", "failed", "cancelled"]
    size = {**_options_schema("picture")["properties"], "width": whole, "height": whole}
    return {
        "RestoreForm": form,
        "Problem": _record(type=text, title=text, status=whole, detail=text),
        "Picture": _record(
            id=text, name=text, bytes=whole, width=whole, height=whole, megapixels=number,
            notes=_TEXTS, view=text,
        ),
        "Job": _record(
            id=text, state={"enum": states}, stage=text, progress=number, position=whole,
            picture={"type": "object"}, options={"type": "object"},
            error={"type": ["string", "null"]}, notes=_TEXTS,
            estimate={"$ref": "#/components/schemas/Estimate"}, seconds=maybe, name=text,
            bytes=maybe, result={"type": ["string", "null"]}, before=text,
            after={"type": ["string", "null"]}, events=text,
        ),
        "Size": {**_record(**size), "required": ["task", "width", "height"]},
        "Estimate": _record(
            seconds=maybe, measuring={"type": "boolean"}, memory=whole, megapixels=number,
            refusal={"type": ["string", "null"]}, waiting_seconds=number, loads=_TEXTS,
        ),
        "Models": _record(
            tasks={"type": "array", "items": {"type": "object"}}, options={"type": "object"},
            formats={"type": "object"}, depths=_TEXTS, loaded=_TEXTS, limits={"type": "object"},
        ),
        "Health": _record(status=text, waiting=whole, running=whole),
    }  # fmt: skip


def _record(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def page() -> str:
    """Give the description as a page that needs nothing from elsewhere."""
    described = document()
    parts: list[str] = []
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            parts.append(_section(path, method, operation))
    about = escape(described["info"]["description"])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<title>multiaxis: the HTTP interface</title><link rel="stylesheet" href="/page.css">'
        '</head><body class="docs"><main><h1>The HTTP interface</h1>'
        f'<p>{about}</p><p><a href="/openapi.json">OpenAPI</a> · <a href="/">The page</a></p>'
        f"{''.join(parts)}</main></body></html>"
    )


def _section(path: str, method: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><th scope='row'><code>{escape(one['name'])}</code></th><td>{one['in']}</td>"
        f"<td>{escape(one.get('description', ''))}</td></tr>"
        for one in operation.get("parameters", [])
    )
    table = f"<table>{rows}</table>" if rows else ""
    answers = ", ".join(sorted(operation["responses"]))
    kinds = ", ".join(operation.get("requestBody", {}).get("content", {}))
    body = f"<p>Body: <code>{escape(kinds)}</code></p>" if kinds else ""
    return (
        f"<section><h2><code>{method.upper()} {escape(path)}</code></h2>"
        f"<p>{escape(operation['summary'])}. {escape(operation.get('description', ''))}</p>"
        f"{table}{body}<p>Answers: {answers}</p></section>"
    )
