//! The opcodon command line: flags to configuration, report to text.
