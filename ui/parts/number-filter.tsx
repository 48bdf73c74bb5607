// A number to filter by: what is no number says so and leaves the filter as it was, so that a list never shows more than was asked for.
import { useState } from "preact/hooks";

/** The number of an address; undefined where there is none. */
export function numberIn(text: string | undefined): number | undefined {
  const value = text === undefined || text.trim() === "" ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : undefined;
}

export function NumberFilter({
  label,
  placeholder,
  value,
  onChange,
}: {
  readonly label: string;
  readonly placeholder: string;
  readonly value: string | undefined;
  readonly onChange: (value: string | undefined) => void;
}) {
  const [odd, setOdd] = useState(false);
  const read = ({ currentTarget: input }: { readonly currentTarget: HTMLInputElement }): void => {
    const text = input.value.trim();
    // What is no number has no value at all in such an input.
    const isOdd = input.validity.badInput || (text !== "" && numberIn(text) === undefined);
    setOdd(isOdd);
    if (!isOdd) onChange(text === "" ? undefined : text);
  };
  return (
    <input
      class="input short rest"
      type="number"
      step="any"
      placeholder={placeholder}
      aria-label={label}
      aria-invalid={odd}
      title={odd ? `${label}: write a number such as 99.50` : label}
      value={numberIn(value) === undefined ? "" : value}
      onChange={read}
    />
  );
}
