-- Scaffolding: who speaks, how the feeling moves, what it is about; and the templates that ask for it.

create table public.personas (
  id uuid primary key default gen_random_uuid(),
  persona_key text not null unique check (persona_key ~ '^[a-z0-9_]+$'),
  name text not null,
  archetype text not null default '',
  age_range text not null default '',
  occupation text not null default '',
  income_range text not null default '',
  demographics jsonb not null default '{}',
  financial_background text not null default '',
  financial_situation text not null default '',
  communication_style text not null default '',
  emotional_baseline text not null default '',
  typical_questions text[] not null default '{}',
  common_concerns text[] not null default '{}',
  language_patterns text[] not null default '{}',
  is_active boolean not null default true,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp()
);

create table public.emotional_arcs (
  id uuid primary key default gen_random_uuid(),
  arc_key text not null unique check (arc_key ~ '^[a-z0-9_]+$'),
  name text not null,
  category text not null default 'core' check (category in ('core', 'edge')),
  tier text not null default 'template' check (tier in ('template', 'scenario', 'edge_case')),
  starting_emotion text not null,
  starting_intensity_min numeric(3, 2) not null check (starting_intensity_min between 0 and 1),
  starting_intensity_max numeric(3, 2) not null check (starting_intensity_max between 0 and 1),
  ending_emotion text not null,
  ending_intensity_min numeric(3, 2) not null check (ending_intensity_min between 0 and 1),
  ending_intensity_max numeric(3, 2) not null check (ending_intensity_max between 0 and 1),
  arc_strategy text not null default '',
  key_principles text[] not null default '{}',
  characteristic_phrases text[] not null default '{}',
  response_techniques text[] not null default '{}',
  avoid_tactics text[] not null default '{}',
  typical_turn_count_min integer not null,
  typical_turn_count_max integer not null,
  suitable_personas text[] not null default '{}',
  suitable_topics text[] not null default '{}',
  is_active boolean not null default true,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  constraint emotional_arcs_start_range check (starting_intensity_min <= starting_intensity_max),
  constraint emotional_arcs_end_range check (ending_intensity_min <= ending_intensity_max),
  -- Turns are messages of both roles, and the assistant has the last word.
  constraint emotional_arcs_turn_range check (
    typical_turn_count_min between 2 and typical_turn_count_max
    and typical_turn_count_min % 2 = 0 and typical_turn_count_max % 2 = 0
  )
);

create table public.training_topics (
  id uuid primary key default gen_random_uuid(),
  topic_key text not null unique check (topic_key ~ '^[a-z0-9_]+$'),
  name text not null,
  category text not null default '',
  description text not null default '',
  complexity_level text not null default 'intermediate'
    check (complexity_level in ('beginner', 'intermediate', 'advanced')),
  typical_question_examples text[] not null default '{}',
  key_concepts text[] not null default '{}',
  suitable_personas text[] not null default '{}',
  suitable_emotional_arcs text[] not null default '{}',
  is_active boolean not null default true,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp()
);

create table public.templates (
  id uuid primary key default gen_random_uuid()
    check (id <> '00000000-0000-0000-0000-000000000000'), -- that id means "choose for me"
  template_key text not null unique check (template_key ~ '^[a-z0-9_]+$'),
  name text not null,
  description text not null default '',
  category text not null default '',
  tier text not null check (tier in ('template', 'scenario', 'edge_case')),
  arc_key text references public.emotional_arcs (arc_key) on update cascade,
  suitable_personas text[] not null default '{}',
  suitable_topics text[] not null default '{}',
  rating numeric(3, 1) not null default 5 check (rating between 0 and 10),
  usage_count bigint not null default 0,
  is_active boolean not null default true,
  current_version integer not null default 1,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp()
);
create index templates_arc_key_idx on public.templates (arc_key);

create table public.template_versions (
  id uuid primary key default gen_random_uuid(),
  template_id uuid not null references public.templates (id) on delete cascade,
  version integer not null check (version >= 1),
  system_text text not null,
  user_text text not null,
  dataset_system_text text not null default '',
  required text[] not null default '{}',
  optional text[] not null default '{}',
  words_min integer not null default 60 check (words_min >= 1),
  words_max integer not null default 180,
  created_by text not null default 'seed',
  created_at timestamptz not null default clock_timestamp(),
  constraint template_versions_number unique (template_id, version),
  constraint template_versions_words check (words_min <= words_max)
);

create table public.prices (
  id uuid primary key default gen_random_uuid(),
  model text not null,
  effective_from date not null,
  above_input_tokens integer not null default 0 check (above_input_tokens >= 0),
  input_usd numeric(12, 6) not null check (input_usd >= 0),
  output_usd numeric(12, 6) not null check (output_usd >= 0),
  cache_read_usd numeric(12, 6) not null default 0 check (cache_read_usd >= 0),
  source text not null default '',
  created_at timestamptz not null default clock_timestamp(),
  constraint prices_once unique (model, effective_from, above_input_tokens)
);

create table public.app_users (
  id uuid primary key default gen_random_uuid(),
  email text not null unique,
  display_name text not null default '',
  is_active boolean not null default true,
  created_at timestamptz not null default clock_timestamp()
);

create table public.app_roles (
  user_id uuid not null references public.app_users (id) on delete cascade,
  role text not null check (role in ('viewer', 'reviewer', 'author', 'admin')),
  granted_by text not null default '',
  granted_at timestamptz not null default clock_timestamp(),
  primary key (user_id, role)
);
