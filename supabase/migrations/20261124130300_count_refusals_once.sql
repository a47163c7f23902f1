-- batch_errors counts refusals by category while they happen; a second way of counting is one too many.
drop view public.refusal_counts;
drop index public.attempts_refusals_idx;
