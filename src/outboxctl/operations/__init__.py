"""Operations: replay, prune, verify, rebuild, check, doctor, report. Imports core, sink and below."""
