-- Conversations, the decisions about them, and the datasets they are frozen into.

create table public.conversations (
  id uuid primary key default gen_random_uuid(),
  conversation_id uuid not null unique default gen_random_uuid(), -- business key: file names and exports only
  item_id uuid unique references public.batch_items (id) on delete set null,
  job_id uuid, -- the item's; no reference of its own, which would lock the job's row at every step
  template_version_id uuid references public.template_versions (id),
  name text not null,
  writer text not null,
  model text not null,
  tier text not null check (tier in ('template', 'scenario', 'edge_case')),
  persona_key text,
  arc_key text,
  topic_key text,
  parameters jsonb not null,
  system_text text not null default '',
  turns jsonb not null check (jsonb_typeof(turns) = 'array'),
  turn_count integer not null check (turn_count >= 0),
  word_count integer not null default 0,
  first_words text not null default '',
  status text not null default 'pending_review'
    check (status in ('pending_review', 'approved', 'rejected', 'needs_revision', 'archived')),
  version integer not null default 1 check (version >= 1),
  row_version integer not null default 1 check (row_version >= 1),
  quality_score numeric(3, 1) not null check (quality_score between 0 and 10),
  quality jsonb not null default '{}',
  validation jsonb not null default '{}',
  flags text[] not null default '{}',
  has_blockers boolean not null default false,
  enrichment_status text not null default 'not_started'
    check (enrichment_status in ('not_started', 'completed', 'failed')),
  enrichment_error text,
  raw_path text,
  final_path text,
  enriched_path text,
  cost_usd numeric(14, 6) not null default 0,
  reviewed_by text,
  reviewed_at timestamptz,
  review_reason text,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  -- The two keys are never the same value, so that one can never pass for the other.
  constraint conversations_keys_differ check (id <> conversation_id)
);
create index conversations_newest_idx on public.conversations (created_at desc, id);
create index conversations_status_newest_idx on public.conversations (status, created_at desc, id);
create index conversations_status_score_idx on public.conversations (status, quality_score desc, id);
create index conversations_job_idx on public.conversations (job_id, created_at, id);

-- The foreign key that the earlier system filled with the business key: it names the primary key.
alter table public.batch_items add constraint batch_items_conversation_fkey
  foreign key (conversation_id) references public.conversations (id) deferrable initially immediate;
create unique index batch_items_conversation_idx on public.batch_items (conversation_id)
  where conversation_id is not null;

create table public.reviews (
  id uuid primary key default gen_random_uuid(),
  conversation_id uuid not null references public.conversations (id) on delete cascade,
  version integer not null,
  decision text not null check (decision in ('approved', 'rejected', 'needs_revision', 'pending_review')),
  previous_status text not null,
  reason text,
  note text,
  reviewer text not null,
  operation_id uuid not null,
  undoes uuid, -- the operation this one took back
  created_at timestamptz not null default clock_timestamp()
);
create index reviews_conversation_idx on public.reviews (conversation_id, created_at);
create index reviews_operation_idx on public.reviews (operation_id);
create index reviews_newest_idx on public.reviews (created_at desc);

create table public.datasets (
  id uuid primary key default gen_random_uuid(),
  name text not null check (length(name) between 1 and 120),
  version integer not null,
  filter jsonb not null default '{}',
  row_count integer not null default 0,
  demo_count integer not null default 0,
  created_by text not null,
  created_at timestamptz not null default clock_timestamp(),
  constraint datasets_once unique (name, version)
);
create index datasets_newest_idx on public.datasets (created_at desc);

create table public.dataset_rows (
  dataset_id uuid not null references public.datasets (id) on delete cascade,
  position integer not null,
  conversation_id uuid not null references public.conversations (id) on delete restrict,
  version integer not null,
  split text not null default 'train' check (split in ('train', 'validation', 'test')),
  quality_score numeric(3, 1) not null, -- this and what follows: as it was when the dataset was frozen
  flags text[] not null,
  reviewed_by text,
  reviewed_at timestamptz,
  review_reason text,
  primary key (dataset_id, position),
  constraint dataset_rows_once unique (dataset_id, conversation_id)
);
create index dataset_rows_conversation_idx on public.dataset_rows (conversation_id);

create function public.refuse_change() returns trigger
language plpgsql set search_path = '' as $$
begin
  raise exception '% is append-only', tg_table_name
    using errcode = 'restrict_violation', hint = 'Add a row that corrects it.';
end $$;

create trigger reviews_append_only before update or delete on public.reviews
for each row when (pg_trigger_depth() = 0) execute function public.refuse_change();
create trigger template_versions_immutable before update on public.template_versions
for each row execute function public.refuse_change();
create trigger dataset_rows_frozen before update on public.dataset_rows
for each row execute function public.refuse_change();
create trigger job_log_append_only before update on public.job_log
for each row execute function public.refuse_change();
