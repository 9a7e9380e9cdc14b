package wire

// ContentType gives the media type ClickHouse answers a format with.
func ContentType(format string) string {
	switch format {
	case "JSON", "JSONCompact", "JSONStrings", "JSONColumns", "JSONColumnsWithMetadata", "JSONCompactStrings", "JSONCompactColumns", "JSONObjectEachRow":
		return "application/json; charset=UTF-8"
	case "JSONEachRow", "JSONStringsEachRow", "JSONCompactEachRow", "JSONCompactEachRowWithNames", "JSONCompactEachRowWithNamesAndTypes", "JSONEachRowWithProgress":
		return "application/x-ndjson; charset=UTF-8"
	case "CSV":
		return "text/csv; charset=UTF-8; header=absent"
	case "CSVWithNames", "CSVWithNamesAndTypes":
		return "text/csv; charset=UTF-8; header=present"
	case "TabSeparated", "TSV":
		return "text/tab-separated-values; charset=UTF-8"
	case "TabSeparatedWithNames", "TSVWithNames", "TabSeparatedWithNamesAndTypes", "TSVWithNamesAndTypes":
		return "text/tab-separated-values; charset=UTF-8; header=present"
	case "XML":
		return "application/xml; charset=UTF-8"
	case "Native", "RowBinary", "RowBinaryWithNames", "RowBinaryWithNamesAndTypes", "Parquet", "Arrow", "ArrowStream", "ORC", "Avro":
		return "application/octet-stream"
	}
	return "text/plain; charset=UTF-8"
}
