"""A table of every kind of column that SAOL's own tests fill, over either transport."""

from __future__ import annotations

from brightrun import saol

TABLE = """
create table public.shelf (
  id integer primary key,
  name text collate "C" unique,
  weight numeric check (weight > 0),
  tags text[] not null default '{}',
  facts jsonb not null default '{}',
  is_open boolean,
  parent integer references public.shelf (id),
  made_at timestamptz not null default now()
);
alter table public.shelf enable row level security;
alter table public.shelf force row level security;
grant select, insert, update, delete on public.shelf to service_role;
create function public.shelf_above(p_weight numeric) returns setof public.shelf language sql stable
  set search_path = '' as $$ select * from public.shelf where weight > p_weight order by id $$;
create function public.shelf_echo(p_text text, p_facts jsonb default '{}', p_list text[] default '{}')
  returns jsonb language sql stable set search_path = ''
  as $$ select jsonb_build_object('text', p_text, 'facts', p_facts, 'list', p_list) $$;
grant execute on function public.shelf_above, public.shelf_echo to service_role;
"""

DROP = """
drop function if exists public.shelf_above, public.shelf_echo;
drop table if exists public.shelf_drawer, public.shelf_x, public.shelf;
"""


def fill(db: saol.Database, number: int) -> None:
    rows = [{"id": n, "name": f"shelf {n:05}", "weight": n + 0.5} for n in range(1, number + 1)]
    saol.agent_insert(db, "shelf", rows, returning=False).require()


def code(result: saol.Result) -> str:
    assert not result.success
    assert result.error is not None
    assert result.error.remediation
    return result.error.code
