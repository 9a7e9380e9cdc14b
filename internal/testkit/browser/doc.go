// Package browser opens pages in a headless Chromium, as a person would see and
// use them, and keeps what the browser complains of: errors in the console,
// exceptions, breaches of the content security policy, requests that fail or
// are answered with an error, and requests to any other origin than the page's
// own. A test that ends with a complaint it did not expect fails; one that fails
// leaves a screenshot of each page behind and names it.
//
// Where there is no Chromium the test is skipped, visibly; with REQUIRE_SERVICES
// set it fails. FOODFLOW_TEST_SCREENSHOTS names a folder that gets a screenshot
// of each page in any case.
package browser
